"""What a trained net does and what is lost when it is touched: one measure a file, pure functions of a subject.

May import lstm_variants, experiments.tasks, config, training and store; commands and sweeps import it.
"""
