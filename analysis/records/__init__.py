"""From run directories, or what wandb has of them, to tidy frames: reading, checking, naming and ordering runs.

May import: analysis.common.
"""
