"""What every command of the project needs: command lines, terminals, the machine's resources, safe text.

May import: nothing of ours.
"""
