"""The questions that a journal is asked, in SQL."""

FIRST = (-(2**63), 0, 0)

OPEN = """NOT EXISTS (SELECT 1 FROM endings e
  WHERE e.run=t.run AND e.position=t.position AND e.status NOT IN ('unknown', 'not_attempted'))"""

ENDED = """SELECT t.*, e.* FROM endings e LEFT JOIN targets t USING (run, position)
  WHERE e.run=? AND e.position>? ORDER BY e.position LIMIT ?"""

STANDS = """run=? AND taken_back=0 AND NOT EXISTS (SELECT 1 FROM intents later
  WHERE later.run=t.run AND later.position=t.position AND later.taken_back=0
  AND later.number>t.number)"""

PAGE = """SELECT position FROM targets t WHERE run=? AND (rank, turn, position) > (?, ?, ?){}
  ORDER BY rank, turn, position LIMIT ?"""

IN_FLIGHT = f"SELECT position FROM intents t WHERE {STANDS} AND {OPEN} ORDER BY number"  # noqa: S608 - all of it our own

WRITTEN = f"""SELECT position FROM intents t WHERE {STANDS} AND number<?
  ORDER BY number DESC LIMIT ?"""  # noqa: S608 - as above

FAILED = "SELECT * FROM endings WHERE run=? AND status='failed' ORDER BY position"
