"""What a report is made of besides figures: tables, lists, macros, pages, and the folder that all of it goes into.

May import: analysis.common to explorer.
"""
