/* Loaded before the C library (LD_PRELOAD): counts what a process changes below one folder, and disturbs one change.

   A change is a call that creates, writes, truncates, synchronises, renames, links or removes. `drill_arm` says below which
   folder, which change (from 1; 0: none, only count) and what happens to it:
     kill   the process is killed just before it
     torn   half of what was to be written is written, then the process is killed
     full   from this change on nothing new finds room (ENOSPC); removing and renaming go on
     broken this one change fails (EIO)
     locked from this change on nothing can be changed (EROFS)
   `drill_clock` moves the clock of the day; the steady clock stays as it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum action { NONE, KILL, TORN, FULL, BROKEN, LOCKED };
enum change { CREATE, WRITE, SYNC, REMOVE };

static char root[PATH_MAX];
static size_t root_length;
static long at, count;
static enum action action;
static long long ahead;
static long calls;

void drill_arm(const char *folder, long number, int what) {
    root_length = strlen(folder);
    memcpy(root, folder, root_length + 1);
    at = number;
    count = 0;
    action = what;
}

long drill_count(void) { return count; }

/* The clock is `seconds` ahead of the true one, and moves back and forth by as much from one look to the next. */
void drill_clock(long long seconds) { ahead = seconds; }

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    return root_length && path && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int below_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!root_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

/* 0: go on; 1: write half and be killed; -1: fail with errno. */
static int disturbed(enum change change) {
    long number = ++count;
    if (!at || number < at) return 0;
    if (number == at && (action == KILL || (action == TORN && change != WRITE))) {
        kill(getpid(), SIGKILL);
        pause();
    }
    if (number == at && action == TORN) return 1;
    if (number == at && action == BROKEN) { errno = EIO; return -1; }
    if (action == FULL && (change == CREATE || change == WRITE)) { errno = ENOSPC; return -1; }
    if (action == LOCKED) { errno = EROFS; return -1; }
    return 0;
}

static void end(void) {
    kill(getpid(), SIGKILL);
    pause();
}

#define OPEN(name, declared, given) \
    int name declared { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        static int (*real) declared; \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        if ((flags & (O_CREAT | O_TRUNC)) && below(path) && disturbed(CREATE)) return -1; \
        return real given; \
    }
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at_fd, const char *path, int flags, ...), (at_fd, path, flags, mode))
OPEN(openat64, (int at_fd, const char *path, int flags, ...), (at_fd, path, flags, mode))

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(name); \
        if ((mode[0] == 'w' || mode[0] == 'a') && below(path) && disturbed(CREATE)) return NULL; \
        return real(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define WRITE_OF(name, declared, given, half) \
    ssize_t name declared { \
        REAL(name); \
        if (below_fd(fd)) switch (disturbed(WRITE)) { \
            case -1: return -1; \
            case 1: size /= 2; half; end(); \
        } \
        return real given; \
    }
WRITE_OF(write, (int fd, const void *data, size_t size), (fd, data, size), (void)!real(fd, data, size))
WRITE_OF(pwrite, (int fd, const void *data, size_t size, off_t to), (fd, data, size, to), (void)!real(fd, data, size, to))
WRITE_OF(pwrite64, (int fd, const void *data, size_t size, off64_t to), (fd, data, size, to), (void)!real(fd, data, size, to))

ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(writev);
    if (below_fd(fd)) switch (disturbed(WRITE)) {
        case -1: return -1;
        case 1: (void)!real(fd, parts, n / 2); end();
    }
    return real(fd, parts, n);
}

#define OF_FD(name, change, declared, given) \
    int name declared { \
        REAL(name); \
        if (below_fd(fd) && disturbed(change)) return -1; \
        return real given; \
    }
OF_FD(fsync, SYNC, (int fd), (fd))
OF_FD(fdatasync, SYNC, (int fd), (fd))
OF_FD(ftruncate, REMOVE, (int fd, off_t size), (fd, size))
OF_FD(ftruncate64, REMOVE, (int fd, off64_t size), (fd, size))

#define OF_PATH(name, change, path, declared, given) \
    int name declared { \
        REAL(name); \
        if (below(path) && disturbed(change)) return -1; \
        return real given; \
    }
OF_PATH(rename, REMOVE, from, (const char *from, const char *to), (from, to))
OF_PATH(unlink, REMOVE, path, (const char *path), (path))
OF_PATH(rmdir, REMOVE, path, (const char *path), (path))
OF_PATH(mkdir, CREATE, path, (const char *path, mode_t mode), (path, mode))
OF_PATH(link, CREATE, to, (const char *from, const char *to), (from, to))

int unlinkat(int fd, const char *path, int flags) {
    REAL(unlinkat);
    if ((path[0] == '/' ? below(path) : below_fd(fd)) && disturbed(REMOVE)) return -1;
    return real(fd, path, flags);
}

static long long moved(void) { return ahead ? ahead + (++calls % 2 ? ahead : -ahead) / 2 : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += moved();
    return failed;
}

time_t time(time_t *now) {
    struct timespec read;
    clock_gettime(CLOCK_REALTIME, &read);
    if (now) *now = read.tv_sec;
    return read.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(gettimeofday);
    int failed = real(now, zone);
    if (!failed) now->tv_sec += moved();
    return failed;
}
