// SPDX-License-Identifier: Apache-2.0
// a * b + chain, registered as a DSP48E2 is: operands, product, sum.
`default_nettype none
module search_multiplier (
	input wire clk,
	input wire signed [26:0] a,
	input wire signed [7:0] b,
	input wire signed [47:0] chain,
	output reg signed [47:0] sum
);
	reg signed [26:0] a_held;
	reg signed [7:0] b_held;
	reg signed [34:0] product;

	always @(posedge clk) begin
		a_held <= a;
		b_held <= b;
		product <= a_held * b_held;
		sum <= {{13{product[34]}}, product} + chain;
	end
endmodule
`default_nettype wire
