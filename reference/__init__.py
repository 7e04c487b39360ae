"""The verdict on an engine's gradients: every op, random expressions and training runs, beside PyTorch's."""
