"""A training run in lock-step: the same network, batches and optimizer in an engine and in the reference."""

from reference.checks.training.draw import draw_task
from reference.checks.training.examples import TASKS, article, digits, moons
from reference.checks.training.lockstep import TrainingRecord, train
from reference.programs.task import Stage, Task

__all__ = ["TASKS", "Stage", "Task", "TrainingRecord", "article", "digits", "draw_task", "moons", "train"]
