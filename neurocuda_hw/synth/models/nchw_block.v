// A block memory with two ports: UNITS bytes of 9 bits. A width of at least 9 is so many bytes in a row, a
// smaller one a part of the lower 8 bits of one byte. An address counts bits, 8 to a byte. Which of two
// ports wins that write one byte is not defined.
module nchw_block #(
    parameter UNITS = 2048,
    parameter ADDRESS = 14,
    parameter [9*UNITS-1:0] CONTENT = 0,
    parameter READ_A = 0,   // widths; 0: the port does not read, or does not write
    parameter WRITE_A = 0,
    parameter READ_B = 0,
    parameter WRITE_B = 0,
    parameter MODE_A = "READ_FIRST",  // what a port reads that writes: also WRITE_FIRST, NO_CHANGE
    parameter MODE_B = "READ_FIRST",
    parameter COLLISION = "UNDEFINED"  // what one port reads of a byte that the other writes; or OLD
) (
    input clk_a, en_a, clear_a, input [7:0] write_a, input [ADDRESS-1:0] address_a,
    input [71:0] d_a, output reg [71:0] q_a,
    input clk_b, en_b, clear_b, input [7:0] write_b, input [ADDRESS-1:0] address_b,
    input [71:0] d_b, output reg [71:0] q_b
);
    reg [8:0] bytes [0:UNITS-1];
    integer i;
    initial begin
        for (i = 0; i < UNITS; i = i + 1) bytes[i] = CONTENT[9*i +: 9];
        q_a = 0;
        q_b = 0;
    end

    localparam BYTES_A = WRITE_A >= 9 ? WRITE_A / 9 : 1, BYTES_B = WRITE_B >= 9 ? WRITE_B / 9 : 1;
    wire [ADDRESS-4:0] first_a = address_a[ADDRESS-1:3] / BYTES_A * BYTES_A;
    wire [ADDRESS-4:0] first_b = address_b[ADDRESS-1:3] / BYTES_B * BYTES_B;

    function [71:0] fetched(input [ADDRESS-1:0] address, input integer width);
        integer k;
        begin
            fetched = 0;
            if (width >= 9)
                for (k = 0; k < width / 9; k = k + 1)
                    fetched[9*k +: 9] = bytes[address[ADDRESS-1:3] / (width / 9) * (width / 9) + k];
            else if (width > 0)
                fetched = (bytes[address[ADDRESS-1:3]] >> (address[2:0] & -width)) & ((1 << width) - 1);
        end
    endfunction

    // One byte after a write.
    function [8:0] merged(input [8:0] old, input [8:0] d, input [2:0] bits, input integer width);
        reg [8:0] mask;
        begin
            mask = width >= 9 ? 9'h1ff : ((9'd1 << width) - 9'd1) << (bits & -width);
            merged = old & ~mask | (width >= 9 ? d : d << (bits & -width)) & mask;
        end
    endfunction

    // Whether reading `width` bits at `address` meets a byte that is written at `first`.
    function meets(input [ADDRESS-1:0] address, input integer width, input [ADDRESS-4:0] first,
                   input [7:0] enabled, input integer written);
        integer k;
        integer start, count;
        begin
            count = width >= 9 ? width / 9 : 1;
            start = address[ADDRESS-1:3] / count * count;
            meets = 0;
            for (k = 0; k < (written >= 9 ? written / 9 : 1); k = k + 1)
                if (written != 0 && enabled[k] && first + k >= start && first + k < start + count) meets = 1;
        end
    endfunction

    wire hit_a = COLLISION == "UNDEFINED" && en_b && meets(address_a, READ_A, first_b, write_b, WRITE_B);
    wire hit_b = COLLISION == "UNDEFINED" && en_a && meets(address_b, READ_B, first_a, write_a, WRITE_A);
    wire writes_a = WRITE_A != 0 && write_a != 0, writes_b = WRITE_B != 0 && write_b != 0;
    integer m, n;

    always @(posedge clk_a)
        if (en_a) begin
            for (m = 0; m < BYTES_A; m = m + 1)
                if (WRITE_A != 0 && write_a[m])
                    bytes[first_a + m] <= merged(bytes[first_a + m], d_a[9*m +: 9], address_a[2:0], WRITE_A);
            if (clear_a) q_a <= 0;
            else if (writes_a && MODE_A == "WRITE_FIRST") q_a <= d_a & ((72'd1 << READ_A) - 72'd1);
            else if (!writes_a || MODE_A == "READ_FIRST")
                q_a <= fetched(address_a, READ_A) ^ {72{hit_a}};  // what is undefined is wrong here
        end

    always @(posedge clk_b)
        if (en_b) begin
            for (n = 0; n < BYTES_B; n = n + 1)
                if (WRITE_B != 0 && write_b[n])
                    bytes[first_b + n] <= merged(bytes[first_b + n], d_b[9*n +: 9], address_b[2:0], WRITE_B);
            if (clear_b) q_b <= 0;
            else if (writes_b && MODE_B == "WRITE_FIRST") q_b <= d_b & ((72'd1 << READ_B) - 72'd1);
            else if (!writes_b || MODE_B == "READ_FIRST") q_b <= fetched(address_b, READ_B) ^ {72{hit_b}};
        end
endmodule
