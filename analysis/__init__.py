"""From the records on disk to figures, tables, verdicts and wandb's views, without torch. Here: the commands.

May import: analysis.common to publishing.
"""
