-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- A page of a view finds here all that it needs of a decision. form and until are nearly always 0, a byte each.
DROP INDEX decisions_shared;
CREATE INDEX decisions_shared ON decisions (view, added, rule, collection, type, form, until) WHERE share = 1;
