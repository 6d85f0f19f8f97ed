"""Hostile bytes: what they are fed to (`targets`), a coverage-guided run (`__main__`, needs
atheris), and the replay of what such runs found, as part of the suite (`test_corpus`).
"""
