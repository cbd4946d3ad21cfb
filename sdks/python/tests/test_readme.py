"""The code blocks of the README, in their order and one namespace."""

import re
from pathlib import Path

from conftest import KEY, URL

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_code_of_the_readme_runs(monkeypatch, capsys):
    monkeypatch.setenv("HALDIR_BASE_URL", URL)
    monkeypatch.setenv("HALDIR_API_KEY", KEY)
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert "budget_exceeded amount" in printed and "send_money was denied" in printed
