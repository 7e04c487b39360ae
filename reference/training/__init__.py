"""A training run in lock-step: the same network, batches and optimizer in an engine and in the reference."""

from reference.task import Stage, Task
from reference.training.draw import draw_task
from reference.training.examples import TASKS, article, digits, moons
from reference.training.lockstep import TrainingRecord, train

__all__ = ["TASKS", "Stage", "Task", "TrainingRecord", "article", "digits", "draw_task", "moons", "train"]
