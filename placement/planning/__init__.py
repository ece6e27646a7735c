"""Planning: where whole estates should live, with hosts, licences and moves as decisions of one small model.

Machines are counted by group, hosts by block of equal ones. `problem` says what is asked, `plan` what is answered.
"""
