-- Who stopped work: an operator lifts only what it issued itself. Null for an administrator, and for what was issued
-- before this was kept, which the authority, the office or an administrator lifts.
ALTER TABLE safety_stops ADD COLUMN issued_by_organization_id UUID;
