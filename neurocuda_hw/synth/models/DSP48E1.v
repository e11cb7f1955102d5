// Multiplier and adder of 7 series (AMD UG479): no pre-adder, no SIMD, no pattern detector.
module DSP48E1 #(
    parameter ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1, CARRYINREG = 1,
    parameter CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1, MREG = 1, OPMODEREG = 1, PREG = 1,
    parameter A_INPUT = "DIRECT", B_INPUT = "DIRECT", USE_DPORT = "FALSE", USE_MULT = "MULTIPLY",
    parameter USE_SIMD = "ONE48", USE_PATTERN_DETECT = "NO_PATDET", AUTORESET_PATDET = "NO_RESET",
    parameter SEL_MASK = "MASK", SEL_PATTERN = "PATTERN", parameter [47:0] MASK = 0, PATTERN = 0,
    parameter [3:0] IS_ALUMODE_INVERTED = 0, parameter [0:0] IS_CARRYIN_INVERTED = 0, IS_CLK_INVERTED = 0,
    parameter [4:0] IS_INMODE_INVERTED = 0, parameter [6:0] IS_OPMODE_INVERTED = 0
) (
    input [29:0] A, ACIN, input [17:0] B, BCIN, input [47:0] C, PCIN, input [24:0] D,
    input [3:0] ALUMODE, input [2:0] CARRYINSEL, input [4:0] INMODE, input [6:0] OPMODE,
    input CARRYIN, CARRYCASCIN, MULTSIGNIN, CLK,
    input CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP,
    input RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
    output [29:0] ACOUT, output [17:0] BCOUT, output [47:0] P, PCOUT, output [3:0] CARRYOUT,
    output CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, UNDERFLOW, PATTERNDETECT, PATTERNBDETECT
);
    initial
        if (AREG > 1 || BREG > 1 || ALUMODEREG != 0 || OPMODEREG != 0 || INMODEREG != 0 || CARRYINREG != 0 ||
            CARRYINSELREG != 0 || USE_DPORT != "FALSE" || USE_MULT != "MULTIPLY" || USE_SIMD != "ONE48" ||
            A_INPUT != "DIRECT" || B_INPUT != "DIRECT" || USE_PATTERN_DETECT != "NO_PATDET" ||
            IS_ALUMODE_INVERTED != 0 || IS_CARRYIN_INVERTED != 0 || IS_CLK_INVERTED != 0 ||
            IS_INMODE_INVERTED != 0 || IS_OPMODE_INVERTED != 0)
            $fatal(1, "DSP48E1 in a mode that is not modelled");

    reg [29:0] a_held = 0;
    reg [17:0] b_held = 0;
    reg [47:0] c_held = 0, p_held = 0;
    reg [42:0] m_held = 0;
    wire signed [24:0] a = AREG != 0 ? a_held[24:0] : A[24:0];
    wire signed [17:0] b = BREG != 0 ? b_held : B;
    wire [47:0] c = CREG != 0 ? c_held : C;
    wire signed [42:0] product = a * b;
    wire signed [42:0] m = MREG != 0 ? m_held : product;
    wire by_parts = OPMODE[3:0] == 4'b0101;  // X and Y are the two parts of a product
    wire [47:0] x = by_parts ? {{5{m[42]}}, m} : 48'd0;
    wire [47:0] y = OPMODE[3:2] == 2'b11 ? c : 48'd0;
    wire [47:0] z = OPMODE[6:4] == 3'b011 ? c : OPMODE[6:4] == 3'b010 ? P : OPMODE[6:4] == 3'b001 ? PCIN : 48'd0;
    wire [47:0] sum = x + y + {47'd0, CARRYIN};
    wire [47:0] result = ALUMODE == 4'b0011 ? z - sum : z + sum;

    always @(posedge CLK) begin
        if (RSTA) a_held <= 0;
        else if (CEA2) a_held <= A;
        if (RSTB) b_held <= 0;
        else if (CEB2) b_held <= B;
        if (RSTC) c_held <= 0;
        else if (CEC) c_held <= C;
        if (RSTM) m_held <= 0;
        else if (CEM) m_held <= product;
        if (RSTP) p_held <= 0;
        else if (CEP) p_held <= result;
        if (!(OPMODE[3:0] == 4'b0000 || OPMODE[3:0] == 4'b1100 || by_parts) || OPMODE[6:4] > 3'b011 ||
            !(ALUMODE == 4'b0000 || ALUMODE == 4'b0011) || CARRYINSEL != 0 || INMODE != 0)
            $fatal(1, "DSP48E1 in a mode that is not modelled");
    end
    assign P = PREG != 0 ? p_held : result;
    assign PCOUT = P;
endmodule
