"""Imports only go downwards and never in a circle; what is heavy is loaded when it is used."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "distiller"

#: From the bottom up; what stands on one line may not know each other.
LAYERS = [
    {"config"},
    {"records", "ragged", "budget"},
    {"artifacts"},
    {"store"},
    {"features"},
    {"task"},
    {"metrics", "rationale", "source"},
    {"dataset"},
    {"blocker"},
    {"trainer", "engine"},
    {"dispatch"},
    {"elicitation"},
    {"student"},
    {"algorithm"},
    {"worker"},
    {"teacher"},
    {"selector"},
    {"protocol"},
    {"escalation"},
    {"disambiguation"},
    {"logger"},
    {"experiment"},
    {"tracking"},
    {"pipeline"},
    {"outcomes"},
    {"scorecard", "report", "model_card", "board"},
    {"score_table"},
    {"explanation", "frames", "student_folder"},
    {"sharing"},
    {"saved"},
    {"sweep"},
    {"cli", "recordings"},
    {"command"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
HEAVY = ["torch", "pytorch_lightning", "lightgbm", "sklearn", "wandb", "transformers", "vllm", "openai", "ray"]
HEAVY += ["rich", "requests"]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(name: str) -> set[str]:
    """Modules of ours that a module imports anywhere in its file, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively; write the whole name"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in MODULES else str(node.module) for each in whole}
    return {each for each in found if each in MODULES} - {"distiller"}


def layer(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"distiller"}))
def test_a_module_imports_only_its_own_package_and_lower_layers(name: str) -> None:
    assert layer(name) in HEIGHT, f"{layer(name)} has no place among the layers"
    upwards = {o for o in imported(name) if layer(o) != layer(name) and HEIGHT[layer(o)] >= HEIGHT[layer(name)]}
    assert not upwards


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter({name: imported(name) for name in MODULES}).prepare()


def test_a_base_knows_none_of_its_choices() -> None:
    for name in MODULES:
        if name.endswith(".base"):
            package = name.removesuffix("base")
            assert not {other for other in imported(name) if other.startswith(package)}, name


def test_packages_are_empty_so_that_no_choice_is_listed_anywhere() -> None:
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    for group in groups:
        package = PACKAGE / group / "__init__.py"
        if package.is_file():
            assert not [n for n in ast.parse(package.read_text()).body if not isinstance(n, ast.Expr)], group


def test_files_are_short() -> None:
    long = {str(p.relative_to(ROOT)): n for p in MODULES.values() if (n := len(p.read_text().splitlines())) > 330}
    assert not long, "a file of more than about 300 lines is asking to become two"


def test_checking_a_configuration_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['run.py', 'until=config', 'hydra.run.dir={tmp_path}/run', 'student=comparator']\n"
        f"runpy.run_path({str(ROOT / 'run.py')!r}, run_name='__main__')\n"
        "print(*sorted(name for name in sys.modules if '.' not in name))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert {"distiller", "hydra"} <= loaded
    assert not loaded & set(HEAVY)
