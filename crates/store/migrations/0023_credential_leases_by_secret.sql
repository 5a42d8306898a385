-- What is due of each dynamic secret: where very much is due of some, the others come to their turn all the same.
CREATE INDEX credential_leases_by_secret ON credential_leases (cluster, item, due) WHERE due IS NOT NULL;
