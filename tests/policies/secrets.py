"""Made-up secrets of every kind, assembled here so that no file of the project holds one whole."""

from policies.facts import FindingKind as K

_SAS = "sv=2024-11-04&se=2027-01-01T00%3A00%3A00Z&sr=b&sp=r&sig=" + "Zm9vYmFyYmF6" * 3 + "%3D"
_B64 = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0123456789ab=="

PLANTED: dict[str, tuple[K, str]] = {
    "jwt": (K.TOKEN, "eyJ" + "hbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLWhlcmU"),
    "bearer": (K.TOKEN, "Authorization: Bearer " + "abcdefghijklmnop0123456789"),
    "github": (K.TOKEN, "ghp_" + "a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6"),
    "aws": (K.TOKEN, "AKIA" + "ABCDEFGHIJKLMNOP"),
    "model provider": (K.TOKEN, "sk-" + "proj-abcdefghij0123456789"),
    "entra secret": (K.TOKEN, "abc8Q~" + "abcdefghijklmnopqrstuvwxyz012345"),
    "salesforce session": (K.TOKEN, "00D" + "5g000004abcd!" + "AQ8AQ" * 12),
    "labelled": (K.TOKEN, "client_secret" + " = 'hunter2-and-more'"),
    "private key": (K.PRIVATE_KEY, "-----BEGIN RSA " + "PRIVATE KEY-----"),
    "blob address": (K.SIGNED_URL, f"https://acct.blob.core.windows.net/c/claims.csv?{_SAS}"),
    "bare sas": (K.SIGNED_URL, _SAS),
    "bucket address": (
        K.SIGNED_URL,
        "https://b.s3.amazonaws.com/k?X-Amz-Date=20260101T000000Z&X-Amz-Signature=" + "0af1" * 16,
    ),
    "drive address": (
        K.SIGNED_URL,
        "https://contoso.sharepoint.com/d.aspx?tempauth=v1.eyJabcdefgh",
    ),
    "storage account": (
        K.CONNECTION_STRING,
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey" + f"={_B64};",
    ),
    "service bus": (
        K.CONNECTION_STRING,
        "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=r;SharedAccessKey"
        + f"={_B64}",
    ),
    "odbc": (K.CONNECTION_STRING, "Server=tcp:db,1433;Uid=reader;Pwd" + "=not4you;Encrypt=yes;"),
    "database address": (
        K.CONNECTION_STRING,
        "mssql+pyodbc://reader:" + "not4you@db.example/claims",
    ),
    "home folder": (K.LOCAL_PATH, "/home/" + "operator/claims/2026.csv"),
    "temporary file": (K.LOCAL_PATH, "could not read '/tmp/" + "scratch-17/rows.parquet'"),
    "windows folder": (K.LOCAL_PATH, "C:\\Users\\" + "operator\\claims.xlsx"),
    "share": (K.LOCAL_PATH, "\\\\fileserver\\" + "claims$\\2026"),
    "file address": (K.LOCAL_PATH, "file://" + "/data/claims.csv"),
}

HARMLESS = (
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "47cd1dc0-2b8b-b518-8ebb-cb5e4728bd87",
    "0190a5e2-7c3b-7b4e-9c1d-1f2e3d4c5b6a:3",
    "artifact:curated/9f/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "https://example.org/home/claims?page=2&sort=paid",
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "mailto:claims@example.org",
    "N/A and/or n/a 1/2 mg/mL 10 mg/tmp",
    "Amoxicillin 250 MG / Clavulanate 125 MG Oral Tablet, 12:30, ratio 3:4@5",
    "NDC 00093-4155-73; ICD-10 E11.9; HCPCS J1100; taxonomy 207Q00000X",
    "password: required, token: none, secret = <redacted>, Pwd=${PWD};",
    "The patient's token of thanks; a secret ballot; sk-learn; asia minor",
    "sk-learn-based-reconciliation-of-claims; the bearer responsible-for-the-payment",
    "postgresql://db.example/claims and https://user@example.org/",
    "00D5g000004abcd is an organisation; risk-adjusted; task-17; sig = 0.05",
    "2026-01-31T23:59:59+00:00",
)

_CORES = {"odbc": "not4you", "database address": "not4you", "storage account": _B64}


def core_of(name: str) -> str:
    """The part of a planted secret that must not be told: its end, or the password in it."""
    return _CORES.get(name, PLANTED[name][1][-8:])
