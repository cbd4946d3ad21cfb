-- The database of haldir and its user, which may do nothing else on this server.
\getenv password HALDIR_DATABASE_PASSWORD
CREATE ROLE haldir LOGIN PASSWORD :'password';
CREATE DATABASE haldir OWNER haldir;
REVOKE CONNECT ON DATABASE haldir, postgres FROM PUBLIC;
