"""`fleet doctor`: what is wrong with this installation, and what to do about it.

Each module looks at one part and yields findings; it changes nothing but a probe file that it
removes again. A part that cannot be looked at is itself a finding, so that one fault never hides
the next.
"""
