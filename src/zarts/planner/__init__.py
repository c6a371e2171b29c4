"""The best network within time and limits: candidate networks, proposals, and what the figures prove."""

__all__: list[str] = []
