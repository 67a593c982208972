from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from penstock_server.cli.main import run
from support.small_lake import POLICY, write_world

CREDENTIALS = """
credentials:
  aws:
    region: eu-west-1
    roles:
      reader: {arn: "arn:aws:iam::123456789012:role/reader", serves: ["arn:aws:s3:::acme-lake/*"]}
  redshift:
    analytics:
      {cluster_identifier: analytics, region: eu-west-1, database: prod, host: h, user_prefix: a}
"""


def check(capsys: pytest.CaptureFixture[str], config: Path) -> tuple[int, list[str], list[str]]:
    """Run the command; gives its exit code and the lines of both streams."""
    code = run(["check", "--config", str(config)])
    written = capsys.readouterr()
    return code, written.out.splitlines(), written.err.splitlines()


def test_a_good_configuration_is_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, problems = check(capsys, write_world(tmp_path, port=50051))
    assert (code, problems) == (0, [])
    assert [line.split("  ")[0] for line in lines] == ["ok"] * 6
    assert "ok           catalog lake: 5 tables" in lines
    assert "ok           keys of https://login.test: 1 usable" in lines
    assert not (tmp_path / "var").exists()


AWS = """\
credentials:
  aws:
    region: eu-west-1
    roles:
      lake:
        arn: arn:aws:iam::111122223333:role/lake
        external_id: env:PENSTOCK_TEST_EXTERNAL_ID
        serves: ["arn:aws:s3:::acme-lake/*"]
  redshift:
    dwh: {kind: cluster, cluster_identifier: c, region: eu-west-1, database: prod, host: h}
"""


def test_what_cannot_be_checked_is_listed_and_no_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_world(tmp_path, port=50051, extra=AWS)
    path.write_text(path.read_text().replace("      jwks_file: keys.json\n", ""))
    code, lines, problems = check(capsys, path)
    assert (code, problems) == (0, [])
    assert [line for line in lines if line.startswith("not checked")] == [
        "not checked  keys of https://login.test: they are fetched over the network",
        "not checked  role lake: whether AWS lets us assume arn:aws:iam::111122223333:role/lake",
        "not checked  role lake: its external id, `env:PENSTOCK_TEST_EXTERNAL_ID` is not set here",
        "not checked  Redshift login dwh: whether the cluster c is there",
    ]


def test_a_policy_that_does_not_fit_the_catalog_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_world(tmp_path, port=50051, policy=POLICY.replace("[delay]", "[dealy]"))
    code, _, problems = check(capsys, path)
    assert code == 1
    assert len(problems) == 2
    assert problems[0].startswith(f"{tmp_path}/policies/nyc.yaml:9: ")
    assert "dealy" in problems[0]
    assert problems[1] == "problems: 1"


def test_a_prefix_that_lets_a_user_be_an_administrator_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_world(tmp_path, port=50051)
    with path.open("a") as more:
        more.write(CREDENTIALS)
    code, _, problems = check(capsys, path)
    assert code == 1
    assert problems[0].startswith("credentials.redshift.analytics.user_prefix: `a` must be lower-case")


def test_problems_of_policy_and_catalog_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_world(tmp_path, port=50051, policy=POLICY.replace("grants:", "grnats:"))
    flights = tmp_path / "lake" / "nyc" / "flights.parquet"
    flights.write_bytes(flights.read_bytes()[: flights.stat().st_size // 2])
    code, lines, problems = check(capsys, path)
    assert code == 1
    assert any("grnats" in problem for problem in problems)
    assert any("flights.parquet" in problem for problem in problems)
    assert any(line.startswith("not checked  whether the policy fits") for line in lines)


def test_a_key_file_without_keys_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_world(tmp_path, port=50051)
    (tmp_path / "keys.json").write_text('{"keys": []}')
    code, _, problems = check(capsys, path)
    assert code == 1
    assert problems[0] == f"{tmp_path}/keys.json: holds no key that can be used: there is none"


def test_an_audit_path_that_is_a_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_world(tmp_path, port=50051)
    (tmp_path / "var").write_text("a file where a folder should be")
    code, _, problems = check(capsys, path)
    assert code == 1
    assert f"audit: `{tmp_path}/var/audit` cannot be written by this user" in problems


def certificate(folder: Path, *, name: str, days: int) -> None:
    """Write NAME.pem and NAME.key, valid until `days` from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "penstock.test")])
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - datetime.timedelta(days=30))
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.mark.parametrize(
    ("pem", "key", "problem"),
    [
        ("good.pem", "good.key", None),
        ("good.pem", "old.key", "certificate, key and client_ca are no PEM files that belong together"),
        ("keys.json", "good.key", "certificate, key and client_ca are no PEM files that belong together"),
        ("old.pem", "old.key", "the certificate is not valid now"),
    ],
)
def test_certificates_are_checked(
    pem: str, key: str, problem: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate(tmp_path, name="good", days=10)
    certificate(tmp_path, name="old", days=-1)
    path = write_world(tmp_path, port=50051)
    listen = "  listen: 127.0.0.1:50051\n"
    path.write_text(path.read_text().replace(listen, f"{listen}  tls: {{certificate: {pem}, private_key: {key}}}\n"))
    code, lines, problems = check(capsys, path)
    if problem is None:
        assert code == 0
        assert any(line.startswith("ok           certificate: valid until") for line in lines)
    else:
        assert code == 1
        assert problem in problems[0]


def init(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["init", *arguments])
    written = capsys.readouterr()
    return code, written.out, written.err


def test_init_writes_what_check_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "data" / "my db" / 'a "b".parquet'
    odd.parent.mkdir(parents=True)
    pq.write_table(pa.table({"plain": [1], "Straße 東京": ["x"], "a,b]: {": [2]}), odd)
    code, out, _ = init(capsys, "data", "--group", "my team")
    assert code == 0
    assert f"penstock-server check --config {tmp_path}/penstock.yaml" in out
    code, lines, problems = check(capsys, tmp_path / "penstock.yaml")
    assert (code, problems) == (0, [])
    assert "ok           catalog lake: 1 table" in lines


def test_the_grants_that_init_leaves_in_comments_are_good_once_uncommented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "my db"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"plain": [1], "Straße 東京\u2028": ["x"], "a,b]: {": [2]}), folder / 'a "b".parquet')
    config = tmp_path / "penstock.yaml"
    assert init(capsys, str(tmp_path / "data"), "--config", str(config))[0] == 0
    policy = tmp_path / "policies" / "starter.yaml"
    policy.write_text(policy.read_text().replace("\n#  ", "\n  "))
    assert "permissions: [SELECT]" in policy.read_text()
    assert check(capsys, config)[0] == 0


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_world(tmp_path, port=50051)
    before = path.read_bytes()
    code, _, error = init(capsys, str(tmp_path / "lake"), "--config", str(path))
    assert (code, path.read_bytes()) == (1, before)
    assert error == f"{path}: exists already; remove it, or give another `--config`\n"


def test_init_tells_what_is_wrong_with_the_folder_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "nyc").mkdir(parents=True)
    (tmp_path / "data" / "nyc" / "flights.parquet").write_text("no Parquet")
    config = tmp_path / "new" / "penstock.yaml"
    code, _, error = init(capsys, str(tmp_path / "data"), "--config", str(config))
    assert code == 1
    assert "flights.parquet" in error
    assert not config.parent.exists()


@pytest.mark.parametrize("option", [("--catalog", "memory"), ("--issuer", "http://login.test"), ("--group", "")])
def test_init_refuses_names_that_could_never_work(
    option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(capsys, str(tmp_path), "--config", str(tmp_path / "p.yaml"), *option)[0] == 2


def test_masks_that_show_more_than_they_seem_to_are_warned_of_and_no_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = POLICY.replace("builtin: redact", "builtin: show-last-4")
    code, lines, problems = check(capsys, write_world(tmp_path, port=50051, policy=policy))
    assert (code, problems) == (0, [])
    place = f"{tmp_path}/policies/nyc.yaml:3"
    assert f"warning      {place}: the mask `hidden-tail` shows a value of 4 characters or fewer as it is" in lines


def test_a_mask_without_its_key_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = POLICY.replace("builtin: redact", 'builtin: hash, key: "env:PENSTOCK_TEST_NO_SUCH_KEY"')
    code, _, problems = check(capsys, write_world(tmp_path, port=50051, policy=policy))
    assert code == 1
    assert any("`env:PENSTOCK_TEST_NO_SUCH_KEY`: there is no secret behind this reference" in line for line in problems)


REQUIRING = """\
version: 1
grants:
  - {name: g, principals: [everyone], resource: lake.nyc.airlines, permissions: [SELECT], requires: [private]}
"""


def test_it_is_said_that_only_aws_knows_what_is_required_of_buckets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_world(tmp_path, port=50051, policy=REQUIRING)
    located = path.read_text().replace("    parquet: lake\n", "    parquet: lake\n    location: s3://acme-lake/nyc/\n")
    path.write_text(located)
    code, lines, _ = check(capsys, path)
    told = "`requires`: without `credentials.aws` nothing is ever known of `acme-lake`, so these grants never hold"
    assert code == 0
    assert any(told in line for line in lines)
    path.write_text(located + AWS)
    _, lines, _ = check(capsys, path)
    assert "not checked  `requires`: whether `acme-lake` meet it; `penstock-server posture` asks AWS" in lines
