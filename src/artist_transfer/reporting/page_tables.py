"""Tables that several pages have: what was left out, and how the page was made."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from artist_transfer.reporting import tables

UNREAD = "Songs that the corpus names and its reader left out, by reason"


def filled(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return a table if it is there and has rows.

    Parameters
    ----------
    table : pd.DataFrame, optional

    Returns
    -------
    pd.DataFrame or None
    """
    return table if table is not None and len(table) else None


def left_out_tables(quarantine_table: pd.DataFrame | None) -> dict[str, tables.Table | None]:
    """Show the tracks that could not be used.

    Parameters
    ----------
    quarantine_table : pd.DataFrame, optional [columns: track_id, reason, …]

    Returns
    -------
    dict of {"reasons", "quarantine"} to Table
        None if every track was used.
    """
    found = filled(quarantine_table)
    return {
        "reasons": None if found is None else tables.reasons_table(found),
        "quarantine": None if found is None else tables.frame_table(found, "Quarantine"),
    }


def unread_tables(exclusion_table: pd.DataFrame | None) -> dict[str, tables.Table | None]:
    """Show the songs that the corpus names and its reader left out.

    Parameters
    ----------
    exclusion_table : pd.DataFrame, optional [columns: track_id, reason]

    Returns
    -------
    dict of {"unread_reasons", "unread"} to Table
        None if there are none.
    """
    found = filled(exclusion_table)
    return {
        "unread_reasons": None if found is None else tables.reasons_table(found, UNREAD),
        "unread": None if found is None else tables.frame_table(found, "Songs that the reader left out"),
    }


def made_tables(
    provenance: Mapping[str, object] | None, parameters: Mapping[str, object] | None
) -> dict[str, tables.Table]:
    """Show how a page was made.

    Parameters
    ----------
    provenance : mapping, optional
        Git commit, seed, device, …; no times, no hosts.
    parameters : mapping, optional
        All parameters, nested.

    Returns
    -------
    dict of {"provenance", "parameters"} to Table
    """
    flat = tables.flat_parameters(parameters or {})
    return {
        "provenance": tables.pairs_table(provenance or {}, "Provenance", ("what", "value")),
        "parameters": tables.pairs_table(flat, "Parameters", ("key", "value")),
    }
