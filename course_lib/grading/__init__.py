"""nbgrader at class scale: right scores for everyone, whatever a submission does.

A submission's own cells run in a jailed kernel, its tests in a trusted one that sees nothing but
the values which the learner's code returns.
"""
