"""Yosys's names as plain identifiers, none twice."""

from neurocuda_hw.rtl.readable import readable

WRITTEN = """\
module \\top.part (a, \\end );
  input a;
  wire \\$1 ;
  wire n1;
  wire \\$procmux$12_Y ;
  wire \\$procmux$13_CMP ;
  wire \\a$1 ;
  wire \\a.1 ;
  output \\end ;
  assign \\$1  = \\$procmux$12 (a, \\a$1 [0], \\$procmux$13_CMP );
endmodule
module top(a);
  \\top.part  \\output  (.a(a), .\\end (b));
endmodule
"""
PLAIN = """\
// What a part is.
module top_part(a, end_);
  input a;
  wire n1_;
  wire n1;
  wire choice_12;
  wire case_13;
  wire a_1;
  wire a_1_;
  output end_;
  assign n1_ = choose_12(a, a_1[0], case_13);
endmodule
module top(a);
  top_part output_ (.a(a), .end_(b));
endmodule
"""


def test_every_name_becomes_plain_and_stays_another() -> None:
    assert readable(WRITTEN, {"top.part": "What a part is."}) == PLAIN


def test_long_comments_are_broken() -> None:
    text = readable("module top(a);\n", {"top": "word " * 30})
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("// word") == 2
