"""From run directories, or what wandb has of them, to tidy frames: reading and checking.

May import: analysis.common to arms.
"""
