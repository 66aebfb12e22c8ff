"""One page about a run that a person reads: scores, what was won and lost, errors by slice, calibration, cost."""
