"""What SQL Server is told, where there is no SQL Server: the golden text, and its grammar."""

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from tests.fleet.ledger.tsql import STATEMENTS, TABLES, kept, migrations


def parsed(text: str) -> exp.Expr:
    [tree] = sqlglot.parse(text, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)
    assert tree is not None
    return tree


@pytest.mark.parametrize("file", [STATEMENTS, TABLES], ids=lambda file: file.stem)
def test_every_statement_is_t_sql(file: Path) -> None:
    """Each parses on its own as Transact-SQL, down to its last clause."""
    statements = kept(file)

    assert len(statements) > 40
    for text in statements:
        assert parsed(text).find(exp.Command) is None, text


def test_statements_keep_to_what_every_database_has() -> None:
    """No MERGE, which SQL Server gets wrong under load, and no upsert, which it lacks."""
    for text in kept(STATEMENTS):
        assert parsed(text).find(exp.Merge, exp.OnConflict) is None, text


def test_nothing_is_grouped_by_a_parameter() -> None:
    """Each `?` is a parameter of its own to SQL Server: what is grouped by one is then not what the
    list of columns has, and is refused (8120)."""
    for text in kept(STATEMENTS):
        for clause in parsed(text).find_all(exp.Group):
            assert clause.find(exp.Placeholder) is None, text


def test_a_condition_is_never_a_value() -> None:
    """SQL Server has no type for true: `SELECT a = b` is refused, where others answer."""
    predicates = (exp.Predicate, exp.And, exp.Or, exp.Not)
    for text in kept(STATEMENTS):
        tree = parsed(text)
        values = [
            one.unalias() for select in tree.find_all(exp.Select) for one in select.expressions
        ]
        values += [one.args["true"] for case in tree.find_all(exp.Case) for one in case.args["ifs"]]
        values += [one.this for one in tree.find_all(exp.Max, exp.Min, exp.Sum)]
        values += [one.expression for told in tree.find_all(exp.Update) for one in told.expressions]
        assert not [value for value in values if isinstance(value, predicates)], text


def test_a_query_within_is_ordered_only_to_be_cut() -> None:
    """`ORDER BY` in a subquery without TOP is refused (1033)."""
    for text in kept(STATEMENTS):
        for select in parsed(text).find_all(exp.Select):
            if select.args.get("order") and select.find_ancestor(
                exp.Select, exp.Update, exp.Delete
            ):
                assert select.args.get("limit"), text


def test_what_stands_beside_a_count_is_grouped_by() -> None:
    """Every column of it: 8120 again."""
    for text in kept(STATEMENTS):
        for select in parsed(text).find_all(exp.Select):
            grouped = select.args.get("group")
            # A query within, or a window, groups by itself.
            plain = [one for one in select.expressions if not one.find(exp.Select, exp.Window)]
            counted = [one for one in plain if one.find(exp.AggFunc)]
            if not (grouped or counted):
                continue
            by = {one.sql() for one in grouped.find_all(exp.Column)} if grouped else set()
            for one in plain:
                if one not in counted:
                    assert {column.sql() for column in one.find_all(exp.Column)} <= by, text


def test_no_statement_outgrows_the_parameters_of_sql_server() -> None:
    """Outside of lists, which are cut to 500, none comes near 2,100 parameters."""
    assert max(text.count("?") for text in kept(STATEMENTS)) < 1000


def test_the_tables_are_those_of_the_revisions() -> None:
    """What an empty Azure SQL database is sent is what the file shows: `make ledger-golden`."""
    assert migrations() == TABLES.read_text(encoding="utf-8")


def test_text_is_unicode_and_keys_are_compared_byte_by_byte() -> None:
    """Under SQL Server's default collation `A` is `a`, and VARCHAR loses what one code page lacks;
    only Alembic's own table has it."""
    tables = TABLES.read_text(encoding="utf-8").replace("version_num VARCHAR(32)", "")

    assert not re.search(r"\b(VARCHAR|TEXT|NTEXT)\b", tables)
    assert set(re.findall(r"NVARCHAR\(\d+\)(?: COLLATE (\w+))?", tables)) == {
        "Latin1_General_100_BIN2"
    }
