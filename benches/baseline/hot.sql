-- One account pays for everything.
SELECT post(gen_random_uuid(), 1, 100);
