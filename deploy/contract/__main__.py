"""Write the contract's files, and remove what is no longer among them."""

from __future__ import annotations

from pathlib import Path

from deploy.contract.files import files

HERE = Path(__file__).parent


def main() -> None:
    made = files()
    for kind in ("schemas", "golden"):
        for path in (HERE / kind).glob("*.json"):
            if f"{kind}/{path.name}" not in made:
                path.unlink()
    for name, text in made.items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
