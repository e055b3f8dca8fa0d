"""The figures of the documentation: what they measure, their words in English and Chinese, and how they are drawn."""
