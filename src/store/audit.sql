-- funding.audit: every rule of the ledger that spans rows, as one list of what breaks it. The hashes of the
-- journal are checked beside it in src/store/audit.rs, since payloads are packed.
-- VerifyLedger, `safelane audit` and the tests run this same statement. No rows: all is well.
-- $1 is a program, or null for all.
WITH scoped AS (
    SELECT * FROM allocations WHERE $1::uuid IS NULL OR program_id = $1
), children AS (
    SELECT program_id, parent_id, sum(received) AS received, count(*) AS counted
      FROM scoped WHERE parent_id IS NOT NULL GROUP BY program_id, parent_id
), held AS (
    SELECT program_id, allocation_id, sum(remaining) AS remaining
      FROM reservations WHERE $1::uuid IS NULL OR program_id = $1 GROUP BY program_id, allocation_id
), promised AS (
    SELECT program_id, allocation_id, sum(obligated) AS obligated, sum(advanced) AS advanced,
           sum(expended) AS expended, count(*) FILTER (WHERE 0 < obligated + advanced) AS open
      FROM obligations WHERE $1::uuid IS NULL OR program_id = $1 GROUP BY program_id, allocation_id
), heads AS (
    SELECT h.scope_id, h.revision, h.recorded_at FROM journal_head h
     WHERE $1::uuid IS NULL OR h.scope_id = $1
), logs AS (
    SELECT j.scope_id, count(*) AS counted, min(j.revision) AS first, max(j.revision) AS last,
           max(j.recorded_at) AS recorded_at
      FROM journal j WHERE $1::uuid IS NULL OR j.scope_id = $1 GROUP BY j.scope_id
)
SELECT 'children_sum_to_allocated_out' AS invariant, a.program_id, a.allocation_id AS object_id,
       format('allocated_out %s, children received %s', a.allocated_out, coalesce(c.received, 0)) AS detail
  FROM scoped a LEFT JOIN children c ON c.program_id = a.program_id AND c.parent_id = a.allocation_id
 WHERE a.allocated_out <> coalesce(c.received, 0)
UNION ALL
SELECT 'child_count_is_exact', a.program_id, a.allocation_id,
       format('child_count %s, children %s', a.child_count, coalesce(c.counted, 0))
  FROM scoped a LEFT JOIN children c ON c.program_id = a.program_id AND c.parent_id = a.allocation_id
 WHERE a.child_count <> coalesce(c.counted, 0)
UNION ALL
SELECT 'reservations_sum_to_reserved', a.program_id, a.allocation_id,
       format('reserved %s, reservations hold %s', a.reserved, coalesce(h.remaining, 0))
  FROM scoped a LEFT JOIN held h ON h.program_id = a.program_id AND h.allocation_id = a.allocation_id
 WHERE a.reserved <> coalesce(h.remaining, 0)
UNION ALL
SELECT 'obligations_sum_to_buckets', a.program_id, a.allocation_id,
       format('obligated %s, advanced %s, open %s, expended %s; obligations say %s, %s, %s, %s',
              a.obligated, a.advanced, a.open_obligations, a.expended, coalesce(p.obligated, 0),
              coalesce(p.advanced, 0), coalesce(p.open, 0), coalesce(p.expended, 0))
  FROM scoped a LEFT JOIN promised p ON p.program_id = a.program_id AND p.allocation_id = a.allocation_id
 WHERE a.obligated <> coalesce(p.obligated, 0) OR a.advanced <> coalesce(p.advanced, 0)
    OR a.open_obligations <> coalesce(p.open, 0) OR a.expended < coalesce(p.expended, 0)
UNION ALL
SELECT 'authorization_is_the_root', p.program_id, p.period_id,
       format('authorized %s, root received %s', p.authorized, a.received)
  FROM periods p LEFT JOIN allocations a
    ON a.program_id = p.program_id AND a.allocation_id = p.root_allocation_id AND a.purpose = 'ROOT'
   AND a.period_id = p.period_id
 WHERE ($1::uuid IS NULL OR p.program_id = $1) AND p.authorized IS DISTINCT FROM a.received
UNION ALL
SELECT 'one_root_a_period', a.program_id, a.allocation_id, 'a root that its period does not name'
  FROM scoped a LEFT JOIN periods p
    ON p.program_id = a.program_id AND p.root_allocation_id = a.allocation_id
 WHERE a.parent_id IS NULL AND p.period_id IS NULL
UNION ALL
SELECT 'tree_stays_in_its_period', a.program_id, a.allocation_id,
       format('path %s below path %s', a.path, b.path)
  FROM scoped a JOIN allocations b ON b.program_id = a.program_id AND b.allocation_id = a.parent_id
 WHERE a.period_id <> b.period_id OR a.path <> b.path || a.code
UNION ALL
SELECT 'journal_has_no_gap', coalesce(h.scope_id, l.scope_id), coalesce(h.scope_id, l.scope_id),
       format('head %s, journal has %s from %s to %s', h.revision, coalesce(l.counted, 0), l.first, l.last)
  FROM heads h FULL JOIN logs l ON l.scope_id = h.scope_id
 WHERE h.revision IS DISTINCT FROM coalesce(l.counted, 0) OR h.revision <> coalesce(l.last, 0)
    OR l.first <> 1
UNION ALL
SELECT 'head_time_is_that_of_the_last', h.scope_id, h.scope_id,
       format('head %s, last revision %s', h.recorded_at, l.recorded_at)
  FROM heads h JOIN logs l ON l.scope_id = h.scope_id
 WHERE h.recorded_at <> l.recorded_at
UNION ALL
SELECT 'time_never_goes_back', j.scope_id, j.scope_id, format('revision %s', j.revision)
  FROM (SELECT scope_id, revision, recorded_at,
               lag(recorded_at) OVER (PARTITION BY scope_id ORDER BY revision) AS before
          FROM journal WHERE $1::uuid IS NULL OR scope_id = $1) j
 WHERE j.recorded_at < j.before
UNION ALL
SELECT 'site_area_is_the_sum_of_its_movements', s.authority_id, s.site_id,
       format('area %s m2, movements %s m2', s.area_m2, coalesce(m.area_m2, 0))
  FROM sites s LEFT JOIN (SELECT site_id, sum(area_m2) AS area_m2 FROM land_movements GROUP BY site_id) m
    ON m.site_id = s.site_id
 WHERE ($1::uuid IS NULL OR s.authority_id = $1) AND s.area_m2 <> coalesce(m.area_m2, 0)
UNION ALL
SELECT 'splits_move_land_and_make_none', m.authority_id, m.authority_id,
       format('revision %s, split_in and split_out are apart by %s m2', m.revision, sum(m.area_m2))
  FROM land_movements m
 WHERE ($1::uuid IS NULL OR m.authority_id = $1) AND m.kind IN ('SPLIT_IN', 'SPLIT_OUT')
 GROUP BY m.authority_id, m.revision HAVING sum(m.area_m2) <> 0
UNION ALL
SELECT 'released_sites_have_no_land', s.authority_id, s.site_id, format('%s with %s m2', s.status, s.area_m2)
  FROM sites s
 WHERE ($1::uuid IS NULL OR s.authority_id = $1) AND s.status IN ('CLOSED', 'HANDED_OVER') AND s.area_m2 <> 0
UNION ALL
-- What comes on a day comes before what goes.
SELECT 'no_site_is_below_zero_on_any_day', d.authority_id, d.site_id, format('%s m2 on %s', d.left_m2, d.effective_on)
  FROM (SELECT DISTINCT ON (m.site_id) m.authority_id, m.site_id, m.effective_on, m.left_m2
          FROM (SELECT authority_id, site_id, effective_on,
                       sum(area_m2) OVER (PARTITION BY site_id ORDER BY effective_on) AS left_m2
                  FROM land_movements WHERE $1::uuid IS NULL OR authority_id = $1) m
         WHERE m.left_m2 < 0 ORDER BY m.site_id, m.effective_on) d
UNION ALL
SELECT 'no_work_under_a_safety_stop', t.program_id, t.task_id,
       format('%s under safety stop %s', t.state, k.safety_stop_id)
  FROM tasks t JOIN safety_stops k
    ON k.lifted_at IS NULL
   AND CASE k.target WHEN 'TASK' THEN k.target_id = t.task_id
                     WHEN 'OPERATOR' THEN k.target_id = t.operator_id
                     ELSE EXISTS (SELECT FROM task_sites s WHERE s.task_id = t.task_id AND s.site_id = k.target_id) END
 WHERE ($1::uuid IS NULL OR t.program_id = $1) AND t.state IN ('MOBILISED', 'ACTIVE')
UNION ALL
SELECT 'people_work_while_they_are_members', a.organization_id, a.assignment_id,
       format('%s, %s: person %s from %s to %s as %s', a.state, daterange(a.first_day, a.last_day, '[]'), w.person_id,
              w.first_day, w.last_day, w.role)
  FROM assignment_people w JOIN assignments a ON a.assignment_id = w.assignment_id
 WHERE ($1::uuid IS NULL OR a.organization_id = $1)
   AND (a.state = 'CANCELLED' OR w.first_day < a.first_day OR a.last_day < w.last_day
        OR NOT EXISTS (SELECT FROM members m
                        WHERE m.team_id = a.team_id AND m.person_id = w.person_id AND m.first_day <= w.first_day
                          AND (m.last_day IS NULL OR w.last_day <= m.last_day)))
UNION ALL
SELECT 'assets_are_away_as_long_as_the_team', a.organization_id, a.assignment_id,
       format('%s, %s: asset %s from %s to %s', a.state, daterange(a.first_day, a.last_day, '[]'), t.asset_id,
              t.first_day, t.last_day)
  FROM assignment_assets t JOIN assignments a ON a.assignment_id = t.assignment_id
 WHERE ($1::uuid IS NULL OR a.organization_id = $1)
   AND (a.state = 'CANCELLED' OR t.first_day <> a.first_day OR t.last_day <> a.last_day)
UNION ALL
-- What is withdrawn while it is suspended keeps its suspension.
SELECT 'suspended_is_what_a_suspension_holds', c.organization_id, c.accreditation_id,
       format('%s with %s suspensions without end', c.state, c.open)
  FROM (SELECT n.organization_id, n.accreditation_id, n.state,
               (SELECT count(*) FROM suspensions s
                 WHERE s.accreditation_id = n.accreditation_id AND s.last_day IS NULL) AS open
          FROM accreditations n WHERE $1::uuid IS NULL OR n.organization_id = $1) c
 WHERE c.state <> 'WITHDRAWN' AND (c.state = 'SUSPENDED') <> (c.open = 1)
UNION ALL
SELECT 'an_assignment_is_of_one_operator', a.organization_id, a.assignment_id,
       format('of operator %s, with %s %s of %s', a.organization_id, o.what, o.id, o.owner)
  FROM assignments a
  JOIN LATERAL (
        SELECT 'team' AS what, t.team_id AS id, t.organization_id AS owner FROM teams t WHERE t.team_id = a.team_id
        UNION ALL
        SELECT 'person', p.person_id, p.organization_id
          FROM assignment_people w JOIN people p ON p.person_id = w.person_id
         WHERE w.assignment_id = a.assignment_id
        UNION ALL
        SELECT 'asset', s.asset_id, s.organization_id
          FROM assignment_assets x JOIN assets s ON s.asset_id = x.asset_id
         WHERE x.assignment_id = a.assignment_id) o ON o.owner <> a.organization_id
 WHERE $1::uuid IS NULL OR a.organization_id = $1
UNION ALL
SELECT 'a_report_is_its_newest_version', r.organization_id, r.report_id,
       format('%s: newest version %s of device %s, there are versions up to %s, that one of device %s', r.state,
              r.newest_version, r.device_id, n.newest, v.device_id)
  FROM reports r
  LEFT JOIN report_versions v ON v.report_id = r.report_id AND v.version = r.newest_version
  LEFT JOIN LATERAL (SELECT max(w.version) AS newest FROM report_versions w WHERE w.report_id = r.report_id) n ON TRUE
 WHERE ($1::uuid IS NULL OR r.organization_id = $1)
   AND (n.newest IS DISTINCT FROM r.newest_version OR v.device_id IS DISTINCT FROM r.device_id)
UNION ALL
SELECT 'every_version_has_its_event', coalesce(v.organization_id, j.scope_id), coalesce(v.report_id, j.request_id),
       format('version %s at revision %s, event at revision %s', v.version, v.revision, j.revision)
  FROM (SELECT r.organization_id, v.report_id, v.version, v.revision
          FROM report_versions v JOIN reports r ON r.report_id = v.report_id) v
  FULL JOIN (SELECT scope_id, revision, request_id FROM journal WHERE kind = 7) j
    ON j.scope_id = v.organization_id AND j.revision = v.revision
 WHERE ($1::uuid IS NULL OR coalesce(v.organization_id, j.scope_id) = $1)
   AND (v.report_id IS NULL OR j.scope_id IS NULL)
UNION ALL
SELECT 'every_attachment_has_its_event', coalesce(a.organization_id, j.scope_id), coalesce(a.organization_id, j.scope_id),
       format('attachment %s at revision %s, event at revision %s', encode(a.sha256, 'hex'), a.revision, j.revision)
  FROM attachments a
  FULL JOIN (SELECT scope_id, revision FROM journal WHERE kind = 8) j
    ON j.scope_id = a.organization_id AND j.revision = a.revision
 WHERE ($1::uuid IS NULL OR coalesce(a.organization_id, j.scope_id) = $1)
   AND (a.sha256 IS NULL OR j.scope_id IS NULL)
UNION ALL
-- A number may be of several reports; none may be of no report, and none of a report may be missing.
SELECT 'a_device_has_what_it_sent', d.organization_id, d.device_id,
       format('%s numbers were received, %s are of reports, %s of these were received', d.numbers, n.sent, n.received)
  FROM (SELECT x.organization_id, x.device_id, x.run_firsts, x.run_lasts,
               (SELECT coalesce(sum(u.last - u.first + 1), 0)
                  FROM UNNEST(x.run_firsts, x.run_lasts) AS u(first, last)) AS numbers
          FROM devices x WHERE $1::uuid IS NULL OR x.organization_id = $1) d
  JOIN LATERAL (
        SELECT count(*) AS sent,
               count(*) FILTER (WHERE EXISTS (
                   SELECT FROM UNNEST(d.run_firsts, d.run_lasts) AS u(first, last)
                    WHERE s.device_sequence BETWEEN u.first AND u.last)) AS received
          FROM (SELECT DISTINCT v.device_sequence
                  FROM report_versions v JOIN reports r ON r.report_id = v.report_id
                 WHERE v.device_id = d.device_id AND r.organization_id = d.organization_id) s) n ON TRUE
 WHERE n.sent <> d.numbers OR n.received <> d.numbers
UNION ALL
SELECT 'an_approved_report_has_one_credit', r.organization_id, r.report_id,
       format('%s: version %s is approved, version %s is credited', r.state, r.approved_version, c.version)
  FROM reports r
  LEFT JOIN credits c ON c.report_id = r.report_id AND c.ended_revision IS NULL
 WHERE ($1::uuid IS NULL OR r.organization_id = $1 OR r.program_id = $1)
   AND c.version IS DISTINCT FROM CASE WHEN r.program_id IS NULL THEN NULL ELSE r.approved_version END
UNION ALL
SELECT 'tasks_sum_their_credits', t.program_id, t.task_id,
       format('figure %s: the task has %s, its credits have %s', coalesce(h.place, c.place), h.figure, c.figure)
  FROM tasks t
  LEFT JOIN LATERAL UNNEST(t.approved) WITH ORDINALITY AS h(figure, place) ON TRUE
  FULL JOIN (SELECT d.task_id, o.place, sum(o.figure) AS figure
               FROM credits d CROSS JOIN LATERAL UNNEST(d.outputs) WITH ORDINALITY AS o(figure, place)
              WHERE d.ended_revision IS NULL GROUP BY d.task_id, o.place) c
    ON c.task_id = t.task_id AND c.place = h.place
 WHERE ($1::uuid IS NULL OR t.program_id = $1) AND coalesce(h.figure, 0) <> coalesce(c.figure, 0)
UNION ALL
-- Of reports that were neither amended nor voided: what ended may have been measured or decided since.
SELECT 'credited_land_has_left_its_site', coalesce(m.authority_id, c.program_id), coalesce(m.report_id, c.report_id),
       format('site %s, %s: %s m2 moved, %s m2 are credited', coalesce(m.site_id, c.site_id), coalesce(m.kind, c.release_type),
              m.area_m2, c.area_m2)
  FROM (SELECT authority_id, report_id, site_id, kind, sum(area_m2) AS area_m2
          FROM land_movements WHERE report_id IS NOT NULL GROUP BY authority_id, report_id, site_id, kind) m
  FULL JOIN (SELECT program_id, report_id, site_id, release_type, sum(area_m2) AS area_m2
               FROM credited_areas WHERE moved
              GROUP BY program_id, report_id, site_id, release_type) c
    ON c.report_id = m.report_id AND c.site_id = m.site_id AND c.release_type = m.kind
 WHERE ($1::uuid IS NULL OR m.authority_id = $1 OR c.program_id = $1)
   AND coalesce(m.area_m2, 0) <> -coalesce(c.area_m2, 0)
   AND NOT EXISTS (SELECT FROM credits e WHERE e.report_id = coalesce(m.report_id, c.report_id)
                      AND e.ended_revision IS NOT NULL)
UNION ALL
SELECT 'an_erased_victim_stays_erased', e.organization_id, e.victim_id,
       format('report %s: %s sealed records, erased at revision %s, which %s', e.report_id, r.counted, e.revision,
              CASE WHEN c.revision IS NULL THEN 'does not say so' ELSE 'says so' END)
  FROM erased_victims e
  JOIN LATERAL (SELECT count(*) AS counted FROM personal_records p WHERE p.organization_id = e.organization_id
                   AND p.report_id = e.report_id AND p.victim_id = e.victim_id) r ON TRUE
  LEFT JOIN change_subjects c ON c.scope_id = e.organization_id AND c.revision = e.revision
   AND c.subject_id = e.victim_id AND c.kind = 'victim'
 WHERE ($1::uuid IS NULL OR e.organization_id = $1) AND (r.counted <> 0 OR c.revision IS NULL)
UNION ALL
SELECT 'an_erased_person_stays_erased', e.organization_id, e.person_id,
       format('%s names, erased at revision %s, which %s', n.counted, e.revision,
              CASE WHEN c.revision IS NULL THEN 'does not say so' ELSE 'says so' END)
  FROM erased_persons e
  JOIN LATERAL (SELECT count(*) AS counted FROM person_names p
                 WHERE p.organization_id = e.organization_id AND p.person_id = e.person_id) n ON TRUE
  LEFT JOIN change_subjects c ON c.scope_id = e.organization_id AND c.revision = e.revision
   AND c.subject_id = e.person_id AND c.kind = 'person'
 WHERE ($1::uuid IS NULL OR e.organization_id = $1) AND (n.counted <> 0 OR c.revision IS NULL)
