from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.importers.principals import read_mapping
from penstock_server.model.principal import Group, UserByName
from support.documents import ROOT, blocks
from support.policies import ISSUER, ISSUERS

GUIDE = ROOT / "docs" / "from-lake-formation-and-quicksight.md"


def test_the_mapping_of_the_guide_is_one(tmp_path: Path) -> None:
    (block,) = [each for each in blocks(GUIDE) if each.text.startswith("principals:")]
    (tmp_path / "mapping.yaml").write_text(block.text)
    found = read_mapping(tmp_path / "mapping.yaml", ISSUERS)
    assert {key: value.selector for key, value in found.items()} == {
        "arn:aws:iam::111122223333:role/analysts": Group(issuer=ISSUER, name="analysts"),
        "arn:aws:iam::111122223333:user/dora": UserByName(issuer=ISSUER, username="dora"),
        "user/default/JohnDoe": UserByName(issuer=ISSUER, username="john"),
        "group/default/eng": Group(issuer=ISSUER, name="engineers"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "principals: []\n",
        "a: b\n",
        "principals: {}\nversion: 1\n",
        "- x\n",
        'principals: {"x": "user:a", "x": "user:b"}\n',
        'principals: {"x": ["user:a"]}\n',
        "principals: {x: everyone@https://login.test}\n",
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"mapping\.yaml"):
        read_mapping(tmp_path / "mapping.yaml", ISSUERS)
