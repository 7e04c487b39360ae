"""A training run in lock-step: the same network, the same batches and the same optimizer in ndgrad and in PyTorch."""

from reference.training.drawn import draw_task
from reference.training.lockstep import TrainingRecord, train
from reference.training.named import TASKS, article, digits, moons
from reference.training.task import Stage, Task

__all__ = ["TASKS", "Stage", "Task", "TrainingRecord", "article", "digits", "draw_task", "moons", "train"]
