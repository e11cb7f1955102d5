// Block memory of 7 series (AMD UG473) of 18 Kb: two ports (TDP), or one that reads and one that writes (SDP)
// up to 36 bits; no output register, no cascade, no error correction.
module RAMB18E1 #(
    parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST", RAM_MODE = "TDP",
    parameter DOA_REG = 0, DOB_REG = 0, RDADDR_COLLISION_HWCONFIG = "DELAYED_WRITE",
    parameter [17:0] INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0,
    parameter RSTREG_PRIORITY_A = "RSTREG", RSTREG_PRIORITY_B = "RSTREG", INIT_FILE = "NONE",
    parameter SIM_COLLISION_CHECK = "ALL", SIM_DEVICE = "7SERIES",
    parameter EN_ECC_READ = "FALSE", EN_ECC_WRITE = "FALSE",
    parameter [255:0] INIT_00 = 0, parameter [255:0] INIT_01 = 0,
    parameter [255:0] INIT_02 = 0, parameter [255:0] INIT_03 = 0,
    parameter [255:0] INIT_04 = 0, parameter [255:0] INIT_05 = 0,
    parameter [255:0] INIT_06 = 0, parameter [255:0] INIT_07 = 0,
    parameter [255:0] INIT_08 = 0, parameter [255:0] INIT_09 = 0,
    parameter [255:0] INIT_0A = 0, parameter [255:0] INIT_0B = 0,
    parameter [255:0] INIT_0C = 0, parameter [255:0] INIT_0D = 0,
    parameter [255:0] INIT_0E = 0, parameter [255:0] INIT_0F = 0,
    parameter [255:0] INIT_10 = 0, parameter [255:0] INIT_11 = 0,
    parameter [255:0] INIT_12 = 0, parameter [255:0] INIT_13 = 0,
    parameter [255:0] INIT_14 = 0, parameter [255:0] INIT_15 = 0,
    parameter [255:0] INIT_16 = 0, parameter [255:0] INIT_17 = 0,
    parameter [255:0] INIT_18 = 0, parameter [255:0] INIT_19 = 0,
    parameter [255:0] INIT_1A = 0, parameter [255:0] INIT_1B = 0,
    parameter [255:0] INIT_1C = 0, parameter [255:0] INIT_1D = 0,
    parameter [255:0] INIT_1E = 0, parameter [255:0] INIT_1F = 0,
    parameter [255:0] INIT_20 = 0, parameter [255:0] INIT_21 = 0,
    parameter [255:0] INIT_22 = 0, parameter [255:0] INIT_23 = 0,
    parameter [255:0] INIT_24 = 0, parameter [255:0] INIT_25 = 0,
    parameter [255:0] INIT_26 = 0, parameter [255:0] INIT_27 = 0,
    parameter [255:0] INIT_28 = 0, parameter [255:0] INIT_29 = 0,
    parameter [255:0] INIT_2A = 0, parameter [255:0] INIT_2B = 0,
    parameter [255:0] INIT_2C = 0, parameter [255:0] INIT_2D = 0,
    parameter [255:0] INIT_2E = 0, parameter [255:0] INIT_2F = 0,
    parameter [255:0] INIT_30 = 0, parameter [255:0] INIT_31 = 0,
    parameter [255:0] INIT_32 = 0, parameter [255:0] INIT_33 = 0,
    parameter [255:0] INIT_34 = 0, parameter [255:0] INIT_35 = 0,
    parameter [255:0] INIT_36 = 0, parameter [255:0] INIT_37 = 0,
    parameter [255:0] INIT_38 = 0, parameter [255:0] INIT_39 = 0,
    parameter [255:0] INIT_3A = 0, parameter [255:0] INIT_3B = 0,
    parameter [255:0] INIT_3C = 0, parameter [255:0] INIT_3D = 0,
    parameter [255:0] INIT_3E = 0, parameter [255:0] INIT_3F = 0,
    parameter [255:0] INITP_00 = 0, parameter [255:0] INITP_01 = 0,
    parameter [255:0] INITP_02 = 0, parameter [255:0] INITP_03 = 0,
    parameter [255:0] INITP_04 = 0, parameter [255:0] INITP_05 = 0,
    parameter [255:0] INITP_06 = 0, parameter [255:0] INITP_07 = 0,
    parameter IS_CLKARDCLK_INVERTED = 0, IS_CLKBWRCLK_INVERTED = 0, IS_ENARDEN_INVERTED = 0,
    parameter IS_ENBWREN_INVERTED = 0, IS_RSTRAMARSTRAM_INVERTED = 0, IS_RSTRAMB_INVERTED = 0,
    parameter IS_RSTREGARSTREG_INVERTED = 0, IS_RSTREGB_INVERTED = 0
) (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB,
    input RSTREGARSTREG, RSTREGB,
    input [13:0] ADDRARDADDR, ADDRBWRADDR,
    input [15:0] DIADI, DIBDI, input [1:0] DIPADIP, DIPBDIP,
    input [1:0] WEA, input [3:0] WEBWE,
    output [15:0] DOADO, DOBDO, output [1:0] DOPADOP, DOPBDOP
);
    localparam SDP = RAM_MODE == "SDP";
    initial
        if (DOA_REG != 0 || DOB_REG != 0 || IS_CLKARDCLK_INVERTED != 0 || IS_CLKBWRCLK_INVERTED != 0 ||
            IS_ENARDEN_INVERTED != 0 || IS_ENBWREN_INVERTED != 0 || (!SDP && RAM_MODE != "TDP"))
            $fatal(1, "RAMB18E1 in a mode that is not modelled");

    // data and parity as bytes of 9 bits
    function [18431:0] content(input [16383:0] data, input [2047:0] parity);
        integer i;
        for (i = 0; i < 2048; i = i + 1) content[9*i +: 9] = {parity[i], data[8*i +: 8]};
    endfunction

    function [17:0] joined(input [15:0] data, input [1:0] parity);
        integer i;
        for (i = 0; i < 2; i = i + 1) joined[9*i +: 9] = {parity[i], data[8*i +: 8]};
    endfunction

    function [15:0] data_of(input [17:0] bytes);
        integer i;
        for (i = 0; i < 2; i = i + 1) data_of[8*i +: 8] = bytes[9*i +: 8];
    endfunction

    function [1:0] parity_of(input [17:0] bytes);
        integer i;
        for (i = 0; i < 2; i = i + 1) parity_of[i] = bytes[9*i + 8];
    endfunction

    // Each byte has an enable of its own; a port narrower than all bytes takes the lowest.
    wire [17:0] d_a = joined(DIADI, DIPADIP), d_b = joined(DIBDI, DIPBDIP);
    wire [71:0] q_a, q_b;
    nchw_block #(
        .UNITS(2048), .ADDRESS(14), .CONTENT(content({INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38, INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28, INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20, INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18, INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10, INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08, INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00}, {INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00})),
        .READ_A(READ_WIDTH_A), .WRITE_A(SDP ? 0 : WRITE_WIDTH_A),
        .READ_B(SDP ? 0 : READ_WIDTH_B), .WRITE_B(WRITE_WIDTH_B),
        .MODE_A(WRITE_MODE_A), .MODE_B(WRITE_MODE_B),
        .COLLISION(WRITE_MODE_A == "READ_FIRST" && WRITE_MODE_B == "READ_FIRST" ? "OLD" : "UNDEFINED")
    ) block (
        .clk_a(CLKARDCLK), .en_a(ENARDEN), .clear_a(1'b0), .write_a({6'd0, WEA}),
        .address_a(ADDRARDADDR[13:0]), .d_a({54'd0, d_a}), .q_a(q_a),
        .clk_b(CLKBWRCLK), .en_b(ENBWREN), .clear_b(1'b0), .write_b({4'd0, WEBWE}),
        .address_b(ADDRBWRADDR[13:0]),
        .d_b(SDP && WRITE_WIDTH_B == 36 ? {36'd0, d_b, d_a} : {54'd0, d_b}), .q_b(q_b)
    );
    wire [17:0] low = q_a[17:0], high = SDP && READ_WIDTH_A == 36 ? q_a[35:18] : q_b[17:0];
    assign DOADO = data_of(low);
    assign DOPADOP = parity_of(low);
    assign DOBDO = data_of(high);
    assign DOPBDOP = parity_of(high);
    always @(posedge CLKARDCLK)
        if (RSTRAMARSTRAM) $fatal(1, "RAMB18E1: a reset of its output is not modelled");
    always @(posedge CLKBWRCLK)
        if (RSTRAMB && READ_WIDTH_B != 0) $fatal(1, "RAMB18E1: a reset of its output is not modelled");
endmodule
