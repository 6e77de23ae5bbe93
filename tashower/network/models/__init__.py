"""Built-in models: one module each, which defines `model(inputs, **options)` as a user's file does
(`tashower.network.contracts`).
"""
