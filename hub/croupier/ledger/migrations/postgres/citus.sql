-- Optional: distribute the ledger over the nodes of a Citus cluster, by operator.
-- Run once, after the schema was made (`croupier migrate`) and before anything is stored. Every unique key holds the
-- operator, so nothing else changes: one operator's rows, and so every batch of one operator, are on one node.
-- `owners`, `writers`, `clock_marks` and `schema_versions` stay on the coordinator: they belong to no operator.

SELECT create_distributed_table('operator_positions', 'operator');
SELECT create_distributed_table('movements', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('movement_keys', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('rounds', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('deliveries', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('events', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('exchanges', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('players', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('aliases', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('sessions', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('grants', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('configuration', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('sinks', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('cases', 'operator', colocate_with => 'operator_positions');
SELECT create_distributed_table('adjustments', 'operator', colocate_with => 'operator_positions');
