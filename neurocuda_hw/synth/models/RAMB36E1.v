// Block memory of 7 series (AMD UG473) of 36 Kb: two ports (TDP), or one that reads and one that writes (SDP)
// up to 72 bits; no output register, no cascade, no error correction.
module RAMB36E1 #(
    parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST", RAM_MODE = "TDP",
    parameter DOA_REG = 0, DOB_REG = 0, RDADDR_COLLISION_HWCONFIG = "DELAYED_WRITE",
    parameter RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE",
    parameter [35:0] INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0,
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
    parameter [255:0] INIT_40 = 0, parameter [255:0] INIT_41 = 0,
    parameter [255:0] INIT_42 = 0, parameter [255:0] INIT_43 = 0,
    parameter [255:0] INIT_44 = 0, parameter [255:0] INIT_45 = 0,
    parameter [255:0] INIT_46 = 0, parameter [255:0] INIT_47 = 0,
    parameter [255:0] INIT_48 = 0, parameter [255:0] INIT_49 = 0,
    parameter [255:0] INIT_4A = 0, parameter [255:0] INIT_4B = 0,
    parameter [255:0] INIT_4C = 0, parameter [255:0] INIT_4D = 0,
    parameter [255:0] INIT_4E = 0, parameter [255:0] INIT_4F = 0,
    parameter [255:0] INIT_50 = 0, parameter [255:0] INIT_51 = 0,
    parameter [255:0] INIT_52 = 0, parameter [255:0] INIT_53 = 0,
    parameter [255:0] INIT_54 = 0, parameter [255:0] INIT_55 = 0,
    parameter [255:0] INIT_56 = 0, parameter [255:0] INIT_57 = 0,
    parameter [255:0] INIT_58 = 0, parameter [255:0] INIT_59 = 0,
    parameter [255:0] INIT_5A = 0, parameter [255:0] INIT_5B = 0,
    parameter [255:0] INIT_5C = 0, parameter [255:0] INIT_5D = 0,
    parameter [255:0] INIT_5E = 0, parameter [255:0] INIT_5F = 0,
    parameter [255:0] INIT_60 = 0, parameter [255:0] INIT_61 = 0,
    parameter [255:0] INIT_62 = 0, parameter [255:0] INIT_63 = 0,
    parameter [255:0] INIT_64 = 0, parameter [255:0] INIT_65 = 0,
    parameter [255:0] INIT_66 = 0, parameter [255:0] INIT_67 = 0,
    parameter [255:0] INIT_68 = 0, parameter [255:0] INIT_69 = 0,
    parameter [255:0] INIT_6A = 0, parameter [255:0] INIT_6B = 0,
    parameter [255:0] INIT_6C = 0, parameter [255:0] INIT_6D = 0,
    parameter [255:0] INIT_6E = 0, parameter [255:0] INIT_6F = 0,
    parameter [255:0] INIT_70 = 0, parameter [255:0] INIT_71 = 0,
    parameter [255:0] INIT_72 = 0, parameter [255:0] INIT_73 = 0,
    parameter [255:0] INIT_74 = 0, parameter [255:0] INIT_75 = 0,
    parameter [255:0] INIT_76 = 0, parameter [255:0] INIT_77 = 0,
    parameter [255:0] INIT_78 = 0, parameter [255:0] INIT_79 = 0,
    parameter [255:0] INIT_7A = 0, parameter [255:0] INIT_7B = 0,
    parameter [255:0] INIT_7C = 0, parameter [255:0] INIT_7D = 0,
    parameter [255:0] INIT_7E = 0, parameter [255:0] INIT_7F = 0,
    parameter [255:0] INITP_00 = 0, parameter [255:0] INITP_01 = 0,
    parameter [255:0] INITP_02 = 0, parameter [255:0] INITP_03 = 0,
    parameter [255:0] INITP_04 = 0, parameter [255:0] INITP_05 = 0,
    parameter [255:0] INITP_06 = 0, parameter [255:0] INITP_07 = 0,
    parameter [255:0] INITP_08 = 0, parameter [255:0] INITP_09 = 0,
    parameter [255:0] INITP_0A = 0, parameter [255:0] INITP_0B = 0,
    parameter [255:0] INITP_0C = 0, parameter [255:0] INITP_0D = 0,
    parameter [255:0] INITP_0E = 0, parameter [255:0] INITP_0F = 0,
    parameter IS_CLKARDCLK_INVERTED = 0, IS_CLKBWRCLK_INVERTED = 0, IS_ENARDEN_INVERTED = 0,
    parameter IS_ENBWREN_INVERTED = 0, IS_RSTRAMARSTRAM_INVERTED = 0, IS_RSTRAMB_INVERTED = 0,
    parameter IS_RSTREGARSTREG_INVERTED = 0, IS_RSTREGB_INVERTED = 0
) (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB,
    input RSTREGARSTREG, RSTREGB, CASCADEINA, CASCADEINB, INJECTDBITERR, INJECTSBITERR,
    input [15:0] ADDRARDADDR, ADDRBWRADDR,
    input [31:0] DIADI, DIBDI, input [3:0] DIPADIP, DIPBDIP,
    input [3:0] WEA, input [7:0] WEBWE,
    output CASCADEOUTA, CASCADEOUTB, DBITERR, SBITERR, output [7:0] ECCPARITY, output [8:0] RDADDRECC,
    output [31:0] DOADO, DOBDO, output [3:0] DOPADOP, DOPBDOP
);
    localparam SDP = RAM_MODE == "SDP";
    initial
        if (DOA_REG != 0 || DOB_REG != 0 || IS_CLKARDCLK_INVERTED != 0 || IS_CLKBWRCLK_INVERTED != 0 ||
            IS_ENARDEN_INVERTED != 0 || IS_ENBWREN_INVERTED != 0 || (!SDP && RAM_MODE != "TDP") || RAM_EXTENSION_A != "NONE" ||
            RAM_EXTENSION_B != "NONE")
            $fatal(1, "RAMB36E1 in a mode that is not modelled");

    // data and parity as bytes of 9 bits
    function [36863:0] content(input [32767:0] data, input [4095:0] parity);
        integer i;
        for (i = 0; i < 4096; i = i + 1) content[9*i +: 9] = {parity[i], data[8*i +: 8]};
    endfunction

    function [35:0] joined(input [31:0] data, input [3:0] parity);
        integer i;
        for (i = 0; i < 4; i = i + 1) joined[9*i +: 9] = {parity[i], data[8*i +: 8]};
    endfunction

    function [31:0] data_of(input [35:0] bytes);
        integer i;
        for (i = 0; i < 4; i = i + 1) data_of[8*i +: 8] = bytes[9*i +: 8];
    endfunction

    function [3:0] parity_of(input [35:0] bytes);
        integer i;
        for (i = 0; i < 4; i = i + 1) parity_of[i] = bytes[9*i + 8];
    endfunction

    // Each byte has an enable of its own; a port narrower than all bytes takes the lowest.
    wire [35:0] d_a = joined(DIADI, DIPADIP), d_b = joined(DIBDI, DIPBDIP);
    wire [71:0] q_a, q_b;
    nchw_block #(
        .UNITS(4096), .ADDRESS(15), .CONTENT(content({INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78, INIT_77, INIT_76, INIT_75, INIT_74, INIT_73, INIT_72, INIT_71, INIT_70, INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68, INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60, INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58, INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50, INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48, INIT_47, INIT_46, INIT_45, INIT_44, INIT_43, INIT_42, INIT_41, INIT_40, INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38, INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28, INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20, INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18, INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10, INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08, INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00}, {INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08, INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00})),
        .READ_A(READ_WIDTH_A), .WRITE_A(SDP ? 0 : WRITE_WIDTH_A),
        .READ_B(SDP ? 0 : READ_WIDTH_B), .WRITE_B(WRITE_WIDTH_B),
        .MODE_A(WRITE_MODE_A), .MODE_B(WRITE_MODE_B),
        .COLLISION(WRITE_MODE_A == "READ_FIRST" && WRITE_MODE_B == "READ_FIRST" ? "OLD" : "UNDEFINED")
    ) block (
        .clk_a(CLKARDCLK), .en_a(ENARDEN), .clear_a(1'b0), .write_a({4'd0, WEA}),
        .address_a(ADDRARDADDR[14:0]), .d_a({36'd0, d_a}), .q_a(q_a),
        .clk_b(CLKBWRCLK), .en_b(ENBWREN), .clear_b(1'b0), .write_b(WEBWE),
        .address_b(ADDRBWRADDR[14:0]),
        .d_b(SDP && WRITE_WIDTH_B == 72 ? {d_b, d_a} : {36'd0, d_b}), .q_b(q_b)
    );
    wire [35:0] low = q_a[35:0], high = SDP && READ_WIDTH_A == 72 ? q_a[71:36] : q_b[35:0];
    assign DOADO = data_of(low);
    assign DOPADOP = parity_of(low);
    assign DOBDO = data_of(high);
    assign DOPBDOP = parity_of(high);
    always @(posedge CLKARDCLK)
        if (RSTRAMARSTRAM) $fatal(1, "RAMB36E1: a reset of its output is not modelled");
    always @(posedge CLKBWRCLK)
        if (RSTRAMB && READ_WIDTH_B != 0) $fatal(1, "RAMB36E1: a reset of its output is not modelled");
endmodule
