"""How the L1 coefficients of `quality_tasks` were chosen: the best of a grid, by the plain loop.

    python -m benchmarks.trainers.quality_scan TASK [STEPS]

One SAE for each coefficient, a training at 3e-3; the coefficient with the highest MMCS is taken. It was of 1000 steps
for d64-n128-sparse, 1500 for d64-n128-dense and 500 for d=256.
"""

from __future__ import annotations

import sys

import torch

from .quality_loop import train
from .quality_tasks import TASKS
from .quality_training import Pool, Training

GRID = (0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 0.8)


def main() -> None:
    """Train, and print each coefficient's loss and MMCS."""
    task = TASKS[sys.argv[1]]
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    torch.set_num_threads(1)
    device = torch.device("cpu")
    training = Training(task, "lr=0.003", steps, 0, device, Pool(task, 0, device), GRID)
    train(training)
    for alpha, (loss, mmcs) in zip(GRID, training.last, strict=True):
        print(f"{task.name}  {alpha:5.2f}  loss {loss:.4f}  MMCS {mmcs:.4f}")


if __name__ == "__main__":
    main()
