"""The generated pages say what the product says; a page that does not is found."""

import subprocess
import sys
from pathlib import Path


def test_the_generated_reference_is_what_the_product_says(repository: Path) -> None:
    command = [sys.executable, str(repository / "scripts/docs.py"), "--check"]
    done = subprocess.run(command, check=False, cwd=repository, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
