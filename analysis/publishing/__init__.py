"""Pages that are written from the archived studies: findings, the answer, the head of the README.

May import: analysis.common to wandb_views.
"""
