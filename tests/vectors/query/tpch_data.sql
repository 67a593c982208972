-- Small random tables with the schema of TPC-H (https://www.tpc.org/tpch), so that each of its queries has an answer.
CREATE MACRO chance(seed, below) AS (hash(seed) % below)::BIGINT;
CREATE MACRO one_of(choices, seed) AS choices[chance(seed, len(choices)) + 1];
CREATE TABLE region AS
  SELECT i::INTEGER AS r_regionkey, ['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST'][i + 1] AS r_name,
    'c' AS r_comment
  FROM range(5) t(i);
CREATE TABLE nation AS
  SELECT i::INTEGER AS n_nationkey,
    ['FRANCE', 'GERMANY', 'BRAZIL', 'SAUDI ARABIA', 'JAPAN', 'CHINA', 'KENYA', 'PERU', 'INDIA', 'IRAN'][i + 1] AS n_name,
    [3, 3, 1, 4, 2, 2, 0, 1, 2, 4][i + 1]::INTEGER AS n_regionkey, 'c' AS n_comment
  FROM range(10) t(i);
CREATE TABLE supplier AS
  SELECT i AS s_suppkey, 'Supplier#' || i AS s_name, 'a' || i AS s_address, (i % 10)::INTEGER AS s_nationkey,
    (10 + i % 25) || '-1' AS s_phone, (chance(i, 900000) / 100 - 500)::DECIMAL(15,2) AS s_acctbal,
    CASE WHEN i % 9 = 0 THEN 'Customer Complaints' ELSE 'fine' END AS s_comment
  FROM range(40) t(i);
CREATE TABLE part AS
  SELECT i AS p_partkey, one_of(['green', 'red', 'dark green', 'blue'], i) || ' part' AS p_name, 'M#' || i % 5 AS p_mfgr,
    'Brand#' || one_of(['12', '23', '34', '45'], i + 7) AS p_brand,
    one_of(['PROMO', 'ECONOMY', 'MEDIUM POLISHED'], i + 1) || ' ' || one_of(['BRASS', 'STEEL'], i + 2) AS p_type,
    (1 + chance(i + 3, 50))::INTEGER AS p_size,
    one_of(['SM CASE', 'SM BOX', 'MED BAG', 'MED BOX', 'LG CASE', 'LG BOX'], i + 4) AS p_container,
    (900 + i)::DECIMAL(15,2) AS p_retailprice, 'c' AS p_comment
  FROM range(200) t(i);
CREATE TABLE partsupp AS
  SELECT p AS ps_partkey, (p * 7 + s * 11) % 40 AS ps_suppkey, (1 + chance(p * 100 + s, 9999))::INTEGER AS ps_availqty,
    (1 + chance(p + s * 1000, 1000))::DECIMAL(15,2) AS ps_supplycost, 'c' AS ps_comment
  FROM range(200) a(p), range(4) b(s);
CREATE TABLE customer AS
  SELECT i AS c_custkey, 'Customer#' || i AS c_name, 'a' AS c_address, chance(i, 10)::INTEGER AS c_nationkey,
    (10 + chance(i + 1, 25)) || '-555' AS c_phone, (chance(i + 2, 1000000) / 100 - 900)::DECIMAL(15,2) AS c_acctbal,
    one_of(['BUILDING', 'MACHINERY', 'FURNITURE'], i + 3) AS c_mktsegment, 'c' AS c_comment
  FROM range(150) t(i);
CREATE TABLE orders AS
  SELECT i AS o_orderkey, chance(i, 100) AS o_custkey, one_of(['F', 'O', 'P'], i + 1) AS o_orderstatus,
    chance(i + 2, 50000)::DECIMAL(15,2) AS o_totalprice, DATE '1992-01-01' + chance(i + 3, 2400)::INTEGER AS o_orderdate,
    one_of(['1-URGENT', '2-HIGH', '3-MEDIUM', '4-LOW'], i + 4) AS o_orderpriority, 'k' AS o_clerk,
    0::INTEGER AS o_shippriority, CASE WHEN i % 7 = 0 THEN 'special requests' ELSE 'plain' END AS o_comment
  FROM range(1500) t(i);
CREATE TABLE lineitem AS
  SELECT o AS l_orderkey, chance(o * 10 + n, 200) AS l_partkey,
    (chance(o * 10 + n, 200) * 7 + chance(o + n, 4) * 11) % 40 AS l_suppkey, n::INTEGER AS l_linenumber,
    (1 + chance(o * 3 + n, 50))::DECIMAL(15,2) AS l_quantity,
    (chance(o * 5 + n, 100000) / 10)::DECIMAL(15,2) AS l_extendedprice,
    (chance(o * 7 + n, 11) / 100)::DECIMAL(15,2) AS l_discount, (chance(o + n, 9) / 100)::DECIMAL(15,2) AS l_tax,
    one_of(['R', 'A', 'N'], o * 11 + n) AS l_returnflag, one_of(['O', 'F'], o + n * 13) AS l_linestatus,
    DATE '1992-01-01' + chance(o * 17 + n, 2400)::INTEGER AS l_shipdate,
    DATE '1992-01-20' + chance(o * 19 + n, 2400)::INTEGER AS l_commitdate,
    DATE '1992-01-30' + chance(o * 23 + n, 2400)::INTEGER AS l_receiptdate, 'i' AS l_shipinstruct,
    one_of(['MAIL', 'SHIP', 'AIR', 'RAIL'], o * 29 + n) AS l_shipmode, 'c' AS l_comment
  FROM range(1500) a(o), range(4) b(n);
