-- Takes every row out of a database, but those about its schema. For tests of the binary.
DO $$ BEGIN
    EXECUTE (
        SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' CASCADE'
        FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('meta', 'writers')
    );
END $$;
DELETE FROM meta WHERE name NOT LIKE 'schema%';
