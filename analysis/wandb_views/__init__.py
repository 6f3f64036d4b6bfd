"""A study's workspace and report on wandb, as code.

May import: analysis.common to pages.
"""
