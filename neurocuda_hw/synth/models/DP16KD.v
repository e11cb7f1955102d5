// Block memory of ECP5 (Lattice FPGA-TN-02204): 1024 rows of 18 bits, two ports, each with an output register or without. A port
// of 36 bits writes with both data inputs and reads on both data outputs, and is the only one that does.
module DP16KD #(
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18, WID = 0,
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC",
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000", CLKAMUX = "CLKA", CLKBMUX = "CLKB",
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL", GSR = "ENABLED", INIT_DATA = "STATIC",
    parameter [319:0] INITVAL_00 = 0, parameter [319:0] INITVAL_01 = 0,
    parameter [319:0] INITVAL_02 = 0, parameter [319:0] INITVAL_03 = 0,
    parameter [319:0] INITVAL_04 = 0, parameter [319:0] INITVAL_05 = 0,
    parameter [319:0] INITVAL_06 = 0, parameter [319:0] INITVAL_07 = 0,
    parameter [319:0] INITVAL_08 = 0, parameter [319:0] INITVAL_09 = 0,
    parameter [319:0] INITVAL_0A = 0, parameter [319:0] INITVAL_0B = 0,
    parameter [319:0] INITVAL_0C = 0, parameter [319:0] INITVAL_0D = 0,
    parameter [319:0] INITVAL_0E = 0, parameter [319:0] INITVAL_0F = 0,
    parameter [319:0] INITVAL_10 = 0, parameter [319:0] INITVAL_11 = 0,
    parameter [319:0] INITVAL_12 = 0, parameter [319:0] INITVAL_13 = 0,
    parameter [319:0] INITVAL_14 = 0, parameter [319:0] INITVAL_15 = 0,
    parameter [319:0] INITVAL_16 = 0, parameter [319:0] INITVAL_17 = 0,
    parameter [319:0] INITVAL_18 = 0, parameter [319:0] INITVAL_19 = 0,
    parameter [319:0] INITVAL_1A = 0, parameter [319:0] INITVAL_1B = 0,
    parameter [319:0] INITVAL_1C = 0, parameter [319:0] INITVAL_1D = 0,
    parameter [319:0] INITVAL_1E = 0, parameter [319:0] INITVAL_1F = 0,
    parameter [319:0] INITVAL_20 = 0, parameter [319:0] INITVAL_21 = 0,
    parameter [319:0] INITVAL_22 = 0, parameter [319:0] INITVAL_23 = 0,
    parameter [319:0] INITVAL_24 = 0, parameter [319:0] INITVAL_25 = 0,
    parameter [319:0] INITVAL_26 = 0, parameter [319:0] INITVAL_27 = 0,
    parameter [319:0] INITVAL_28 = 0, parameter [319:0] INITVAL_29 = 0,
    parameter [319:0] INITVAL_2A = 0, parameter [319:0] INITVAL_2B = 0,
    parameter [319:0] INITVAL_2C = 0, parameter [319:0] INITVAL_2D = 0,
    parameter [319:0] INITVAL_2E = 0, parameter [319:0] INITVAL_2F = 0,
    parameter [319:0] INITVAL_30 = 0, parameter [319:0] INITVAL_31 = 0,
    parameter [319:0] INITVAL_32 = 0, parameter [319:0] INITVAL_33 = 0,
    parameter [319:0] INITVAL_34 = 0, parameter [319:0] INITVAL_35 = 0,
    parameter [319:0] INITVAL_36 = 0, parameter [319:0] INITVAL_37 = 0,
    parameter [319:0] INITVAL_38 = 0, parameter [319:0] INITVAL_39 = 0,
    parameter [319:0] INITVAL_3A = 0, parameter [319:0] INITVAL_3B = 0,
    parameter [319:0] INITVAL_3C = 0, parameter [319:0] INITVAL_3D = 0,
    parameter [319:0] INITVAL_3E = 0, parameter [319:0] INITVAL_3F = 0
) (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    localparam WIDE = DATA_WIDTH_A == 36 || DATA_WIDTH_B == 36;
    initial
        if ((REGMODE_A != "NOREG" && REGMODE_A != "OUTREG") || (REGMODE_B != "NOREG" && REGMODE_B != "OUTREG") ||
            (WIDE && (REGMODE_A != "NOREG" || REGMODE_B != "NOREG")) || CLKAMUX != "CLKA" || CLKBMUX != "CLKB" ||
            CSDECODE_A != "0b000" || CSDECODE_B != "0b000")
            $fatal(1, "DP16KD in a mode that is not modelled");

    function [18431:0] content(input [20479:0] init);
        integer i;
        for (i = 0; i < 1024; i = i + 1) content[18*i +: 18] = init[20*i +: 18];
    endfunction

    function [3:0] enables(input [3:0] address, input integer width);
        enables = width == 36 ? address : width == 18 ? {2'b00, address[1:0]} : 4'b0001;
    endfunction

    wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [17:0] da = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [17:0] db = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    wire [71:0] qa, qb;
    nchw_block #(
        .CONTENT(content({INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00})),
        .READ_A(DATA_WIDTH_A), .WRITE_A(DATA_WIDTH_A), .READ_B(DATA_WIDTH_B), .WRITE_B(DATA_WIDTH_B),
        .MODE_A(WRITEMODE_A == "NORMAL" ? "NO_CHANGE" :
                WRITEMODE_A == "WRITETHROUGH" ? "WRITE_FIRST" : "READ_FIRST"),
        .MODE_B(WRITEMODE_B == "NORMAL" ? "NO_CHANGE" :
                WRITEMODE_B == "WRITETHROUGH" ? "WRITE_FIRST" : "READ_FIRST")
    ) block (
        .clk_a(CLKA), .en_a(CEA & ~(CSA2 | CSA1 | CSA0)), .clear_a(1'b0),
        .write_a({4'd0, enables(address_a[3:0], DATA_WIDTH_A) & {4{WEA}}}), .address_a(address_a),
        .d_a({36'd0, DATA_WIDTH_A == 36 ? {db, da} : {18'd0, da}}), .q_a(qa),
        .clk_b(CLKB), .en_b(CEB & ~(CSB2 | CSB1 | CSB0)), .clear_b(1'b0),
        .write_b({4'd0, enables(address_b[3:0], DATA_WIDTH_B) & {4{WEB}}}), .address_b(address_b),
        .d_b({54'd0, db}), .q_b(qb)
    );
    // a reset that is held in a cycle clears what is read in it; ASYNC_RESET_RELEASE is not modelled
    reg cleared_a = 0, cleared_b = 0;
    always @(posedge CLKA) cleared_a <= RSTA;
    always @(posedge CLKB) cleared_b <= RSTB;
    wire zero_a = cleared_a | (RESETMODE == "ASYNC" & RSTA), zero_b = cleared_b | (RESETMODE == "ASYNC" & RSTB);
    wire [17:0] left = DATA_WIDTH_B == 36 ? qb[17:0] : qa[17:0];
    wire [17:0] right = DATA_WIDTH_B == 36 ? qb[35:18] : qb[17:0];
    wire [17:0] read_a = left & {18{~(WIDE ? zero_b : zero_a)}}, read_b = right & {18{~zero_b}};
    reg [17:0] out_a = 0, out_b = 0;
    always @(posedge CLKA) if (OCEA) out_a <= read_a;
    always @(posedge CLKB) if (OCEB) out_b <= read_b;
    always @* if ((REGMODE_A == "OUTREG" && RSTA) || (REGMODE_B == "OUTREG" && RSTB))
        $fatal(1, "DP16KD in a mode that is not modelled");
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = REGMODE_A == "OUTREG" ? out_a : read_a;
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = REGMODE_B == "OUTREG" ? out_b : read_b;
endmodule
