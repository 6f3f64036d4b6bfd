"""Tests, intervals and shares of variance: functions of arrays and frames that know nothing of claims.

May import: analysis.common to records.
"""
