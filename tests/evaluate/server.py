"""The local OpenAI-compatible server of ``reproduce``, under the name that these tests know it by."""

from reproduce.stand_in import Answer, Server, last_text, says, serving

__all__ = ["Answer", "Server", "last_text", "says", "serving"]
