"""What a trained net does and what is lost when it is touched: one measure a file, pure functions of a subject.

May import: lstm_variants, analysis.common to records, experiments.tasks to store.
"""
