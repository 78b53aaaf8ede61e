-- A thousand accounts pay, drawn at random.
\set payer random(1, 1000)
SELECT post(gen_random_uuid(), :payer, 100);
