"""Training in lock-step: an engine and the reference train the same network on the same batches."""

from reference.checks.training.draw import draw_task
from reference.checks.training.examples import TASKS, article, digits, moons
from reference.checks.training.lockstep import TrainingRecord, train
from reference.programs.task import Stage, Task

__all__ = ["TASKS", "Stage", "Task", "TrainingRecord", "article", "digits", "draw_task", "moons", "train"]
