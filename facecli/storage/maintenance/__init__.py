"""Whole gallery files: copied (`backup`), mended (`repair`), encrypted (`encryption`).

It works on files, so it may import `sqlite` and what lies below. It must never know Milvus, and
destroys nothing before the new file is whole.
"""
